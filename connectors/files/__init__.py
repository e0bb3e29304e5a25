"""A folder of CSV exports as a CRM."""
