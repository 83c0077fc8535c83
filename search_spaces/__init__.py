"""What may be built: designs, the spaces they come from, and the networks they become.

Importing the package costs no torch: only `build` needs it, when it is called.
"""
