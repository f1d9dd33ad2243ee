"""Who looks, and how well: gaze policies, training, evaluation, run folders, the command line."""
