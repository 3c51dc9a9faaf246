"""Make theta.json: standard Theta forecasts by statsforecast. Run: pip install statsforecast, then this file.

Histories: the airline passengers 1949-1960 (Box & Jenkins 1976, series G) whole, cut, and in logarithms; daily values
with a week in them that fall below zero; a short one; a random walk. statsforecast searches its smoothing weight in
[0.1, 0.99] with a simplex method that stops early, so its numbers are good to two to four figures.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from statsforecast.models import Theta

AIRLINE = """
112 118 132 129 121 135 148 148 136 119 104 118 115 126 141 135 125 149 170 170 158 133 114 140
145 150 178 163 172 178 199 199 184 162 146 166 171 180 193 181 183 218 230 242 209 191 172 194
196 196 236 235 229 243 264 272 237 211 180 201 204 188 235 227 234 264 302 293 259 229 203 229
242 233 267 269 270 315 364 347 312 274 237 278 284 277 317 313 318 374 413 405 355 306 271 306
315 301 356 348 355 422 465 467 404 347 305 336 340 318 362 348 363 435 491 505 404 359 310 337
360 342 406 396 420 472 548 559 463 407 362 405 417 391 419 461 472 535 622 606 508 461 390 432
"""

airline = np.array(AIRLINE.split(), dtype=np.float64)
noise = np.random.default_rng(7).normal(size=90)
day = np.arange(90)
CASES = {
    "airline": (airline, 18, 12),
    "airline, one season asked for": (airline, 6, 1),
    "airline, first five years": (airline[:60], 6, 12),
    "airline, logarithms": (np.log(airline), 12, 12),
    "week, below zero": (4 * np.sin(2 * np.pi * day / 7) + 0.1 * day - 5 + noise, 14, 7),
    "short": (airline[8:20], 4, 12),
    "walk with noise": (np.cumsum(noise) + 2 * np.roll(noise, 45) + 50, 8, 1),
}

warnings.simplefilter("ignore")
cases = []
for name, (history, h, season) in CASES.items():
    point = Theta(season_length=season).forecast(y=history, h=h)["mean"]
    cases.append({"name": name, "season": season, "history": history.tolist(), "point": np.asarray(point).tolist()})
made = {"made_by": {"statsforecast": version("statsforecast"), "numpy": version("numpy")}, "cases": cases}
Path(__file__).with_name("theta.json").write_text(json.dumps(made, indent=1) + "\n")
