"""What can be done, by the model or by a person through a route. One verb, one function."""
