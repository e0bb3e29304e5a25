"""Our database: SQLite and PostgreSQL from one set of tables and one text of SQL.

The only room that imports SQLAlchemy.
"""
