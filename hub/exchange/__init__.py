"""Receive, route, deliver, settle: the only way in, the only way out.

``Exchange.receive`` is the one entrance; ``Exchange.drain`` the one unit of work of delivery.
"""
