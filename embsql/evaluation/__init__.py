"""How good rankings are, on interactions that were held out."""
