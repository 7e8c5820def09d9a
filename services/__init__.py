"""The five services; each knows `shared`, none knows another."""
