"""The demonstration: a season made from a seed and driven through the hub's public doors only."""
