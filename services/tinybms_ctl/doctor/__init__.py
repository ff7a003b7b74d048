"""What is wrong with the gateway and what to do about it: facts, judgements, words."""
