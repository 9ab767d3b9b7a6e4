"""Who somebody is, and how they prove it.

principals    from a credential to the caller
accounts      people with a password: signing in and out, and what admins do with users
api_keys      secrets of a tenant's own servers
passwords     argon2, never on the event loop
provisioning  what the owner of an installation does: tenants and first users
key_rotation  every secret in the database under a new key
"""
