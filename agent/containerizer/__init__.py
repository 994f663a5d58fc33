"""Containers: started by a launcher process that outlives the agent, watched by the agent."""
