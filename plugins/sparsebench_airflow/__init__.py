"""Operators and triggers that put a job on an EC2 instance: the amazon provider's, with their gaps filled."""
