"""What the node shows of itself to its operator: JSON views beside the metrics.

Imports the components it shows, is imported by ``launch`` only. Start with ``views.py``.
"""
