"""A faithful 1Password Connect server for tests, demos and rehearsals.

Inside a test: `connect_emulator.server.ConnectEmulator.start`. As a process: the command `connect-emulator`, driven through
`connect_emulator.admin.client.AdminClient`, which needs the standard library only. A description file
(`account.description`) says what the vaults hold, knobs (`knobs`) decide what is not known of real servers, and fault rules
(`faults`) say what goes wrong.

How it is built: people edit the account (`account.cloud` over `account.store`), and replicas follow it late
(`account.replica`). The API answers from a replica (`http.api`, `http.attachments`, `http.wire`) and writes to the account
(`http.writer`, `http.bodies`, `http.patch`). A front carries answers to connections, whole or damaged (`http.front`,
`http.damage`, `http.protocol`, `http.listener`). The admin API (`admin`) drives all of it.
"""
