"""Which framework is offered which agent next: pure, over its own inputs."""
