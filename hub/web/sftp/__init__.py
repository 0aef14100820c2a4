"""The SFTP door: partners bring files to ``/in`` and fetch what is theirs from ``/out`` and ``/refused``.

There is no shell, no forwarding, no scp and no password, and what a partner sees is no folder of this machine.
"""

from hub.web.sftp.door import SftpDoor

__all__ = ["SftpDoor"]
