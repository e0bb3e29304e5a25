"""The imperative shell: gather, credit, value, plan, push. `run.py` tells the story on one screen."""
