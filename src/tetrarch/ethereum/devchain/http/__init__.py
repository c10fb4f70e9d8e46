"""The chain's HTTP face: the beacon API, one file per group of endpoints.

``answers.py`` holds what all share: content types, errors, ids. ``routes.py`` lists every route.
"""
