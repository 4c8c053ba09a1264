import { choices } from './choices.js'; choices();
