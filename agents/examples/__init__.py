"""How the environments are used from elsewhere: one file each, to be read and taken apart."""
