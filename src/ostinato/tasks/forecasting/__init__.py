"""The pieces of the forecasting task: options of windows, the plan, training and calibration, backtest, report."""
