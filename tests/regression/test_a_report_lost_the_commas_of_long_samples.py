"""The separator of thousands was put in the place of every comma, in sentences and in samples that are folded."""

from tests.unit.report.test_generate import example

from ostinato.report import generate_report
from ostinato.report.generate import LONG


def test_they_stay() -> None:
    report = example()
    report["samples"][0]["text"] = "yes, no " * LONG
    page = generate_report(report)
    assert page.count("yes, no ") == LONG
    assert "validation part, which no method" in page
