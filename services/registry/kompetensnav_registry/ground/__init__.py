"""The ground: who the municipalities are, whom they may show to whom, and what other slices stand on."""
