"""advocacy-sync: what is a customer really worth?

Read `app/sync/run.py` first: it is the whole story on one screen.
"""
