"""Intake: advocacy events from files and requests. Strict at the door, so that nothing inside has to doubt them."""
