//! What a balancer knows of an endpoint.
