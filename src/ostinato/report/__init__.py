"""Reports: plain dicts in, one self-contained HTML file out. Plots need matplotlib; nothing else does."""

from ostinato.report.figures import Band, Line, LogPlot, Plot, figure, side_by_side, svg
from ostinato.report.forecast import ForecastReport, forecast_report
from ostinato.report.generate import GenerateReport, generate_report
from ostinato.report.health import HealthFacts, health_section
from ostinato.report.page import Page, Section, render, write
from ostinato.report.tables import Column, table

__all__ = [
    "Band",
    "Column",
    "ForecastReport",
    "GenerateReport",
    "HealthFacts",
    "Line",
    "LogPlot",
    "Page",
    "Plot",
    "Section",
    "figure",
    "forecast_report",
    "generate_report",
    "health_section",
    "render",
    "side_by_side",
    "svg",
    "table",
    "write",
]
