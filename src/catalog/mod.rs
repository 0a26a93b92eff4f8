//! Lists, merged over all servers and answered here.
