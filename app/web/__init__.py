"""Web: parse, call one function, answer."""
