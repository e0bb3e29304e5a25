"""The mapping: the one place where a CRM's field names meet ours.

`file` reads and checks it alone, `check` compares it with what the CRM says it has, `translate` compiles it into
functions that turn pages of raw text into rows and our values into updates.
"""
