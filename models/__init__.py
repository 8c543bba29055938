"""What does a machine's data say about its state, its faults and its future?

Pure estimators and knowledge: state detection, vibration, diagnosis, prognosis. `catalog/` describes the types of
equipment in YAML. Time is a parameter, learned state is explicit, and nothing here reads or writes anything.
"""
