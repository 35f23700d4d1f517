"""Classical measures of galaxies: sizes, fluxes, shapes, asymmetry, Sérsic fits."""
