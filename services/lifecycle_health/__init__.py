"""How is a machine, and why? Health of equipment and components with reasons."""
