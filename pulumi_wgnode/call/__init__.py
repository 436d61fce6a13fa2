"""What a call of the engine has: the kind that answers it, its line of words, its deadline, the provider's options."""
