"""What happens to a batch of readings between arriving and being stored?

`pipeline/` is the pure, columnar core: `(state, batch) -> (state, outcome)`, through manipulation, detection, health,
prognosis and advisory. The hosts beside it (embedded, Faust, backtest) call it; it never knows which one did.
"""
