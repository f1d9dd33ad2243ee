"""Saccade: glimpse environments for Gymnasium, and models that learn where to look.

Importing it registers the environments and nothing more; the parts are `saccade.envs`,
`saccade.ram` and `saccade.agents`.
"""

__version__ = "0.1.0"

# The checkout's folder is this package: a tool that imports it under the folder's own name must
# not register everything a second time.
if __name__ == "saccade":
    from .envs.registration import register_all

    register_all()
