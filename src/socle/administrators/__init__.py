"""The provider's people at Keystone: enrolled by name, and the emergency when none of them gets in."""
