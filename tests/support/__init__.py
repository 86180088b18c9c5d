"""What tests of the whole product stand on: a stack, a town, a proxy, faults, a load."""
