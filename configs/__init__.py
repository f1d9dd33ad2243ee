"""One YAML file for each experiment; a package only so that the files are found when installed."""
