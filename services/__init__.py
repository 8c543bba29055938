"""What can people and other systems ask for, and what may each of them see?

The API and its domains (tenancy, alarms, remote operations, predictive maintenance, lifecycle health,
notifications), each with its model, its service and its routes.
"""
