"""The bundled sample: made-up reviews of made-up products, with the mess and the difficulty of real ones."""
