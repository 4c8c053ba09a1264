// The login page: language and theme, nothing else.
import { choices } from './choices.js';

choices();
