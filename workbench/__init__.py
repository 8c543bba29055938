"""What does a person run at a desk?

Training, evaluation, replay, backtest and diagnosis of recorded or simulated machines, with the same core that runs
live.
"""
