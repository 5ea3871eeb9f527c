"""Classes of time series: trained neurons beside a linear model and random convolutions."""
