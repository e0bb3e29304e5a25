"""The demo: a small company's CRM in a box, so that everything can be tried without an account anywhere."""
