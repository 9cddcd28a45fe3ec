"""A faithful 1Password Connect server for tests, demos and rehearsals.

Inside a test: `connect_emulator.server.ConnectEmulator.start`. As a process: the command `connect-emulator`, driven through
`connect_emulator.admin_client.AdminClient`, which needs the standard library only. A description file (`description`) says
what the vaults hold, knobs (`knobs`) decide what nobody knows of real servers, fault rules (`faults`) what goes wrong.

How it is built: people edit the account (`cloud` over `store`), replicas follow it late (`replica`), the API answers from a
replica (`api`, `attachments`, `wire`) and writes to the account (`writer`, `bodies`, `patch`), a front carries answers to
connections whole or spoilt (`front`, `damage`, `protocol`, `listener`), and the admin API drives all of it (`admin`).
"""
