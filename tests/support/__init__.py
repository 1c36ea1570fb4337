"""What tests of several folders share: real servers, stand-ins for an instance, networks."""
