# Filled in when the libraries are complete.
