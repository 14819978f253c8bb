"""A real gateway, its PostgreSQL, its client and one agent, on loopback; what a case is given is `stage.Stage`."""
