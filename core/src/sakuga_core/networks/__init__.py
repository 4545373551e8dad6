"""The networks that Sakuga serves: one row of facts each."""
