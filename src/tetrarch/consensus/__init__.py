"""Agreement on one value per duty (QBFT). Pure machine in ``qbft``, asyncio in ``driver``.

Imports duties.types, network.ports, output, errors. Start with ``qbft``'s theory of operation.
"""
